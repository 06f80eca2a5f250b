/**
 * `npm run kernels -- [VERSION...]`: the tests that ask the kernel, on other kernels than the running one. Each is a kernel of
 * Debian's, booted in an emulated machine that has this checkout, a loopback device, and nothing else. A version is how a
 * release begins: 6.1 is the newest 6.1. What is missing here is said, and that kernel skipped.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { packModules, packPrograms } from './kernels/initramfs.ts';
import { fetchKernel } from './kernels/package.ts';
import { Lacking, need } from './kernels/programs.ts';

/** The oldest kernel that rebind is tested on, and one whose sock_diag shows bound sockets (since 6.8). */
const usual = ['6.1', '6.12'];
const limitMs = 20 * 60_000;

const checkout = fileURLToPath(new URL('../../', import.meta.url)).slice(0, -1);
const work = join(checkout, 'build/kernels');
const init = join(work, 'init');

interface Result {
  readonly name: string;
  readonly summary: string;
  readonly failed: boolean;
}

mkdirSync(work, { recursive: true });
const versions = process.argv.slice(2);
const results: Result[] = [];
let programs: Buffer | undefined;
for (const version of versions.length > 0 ? versions : usual) {
  try {
    const qemu = need('qemu-system-x86_64', 'qemu-system-x86');
    const kernel = fetchKernel(version, work);
    programs ??= packed();
    const initramfs = join(work, `initramfs-${kernel.release}`);
    writeFileSync(initramfs, Buffer.concat([programs, packModules(kernel)]));
    results.push(await run(qemu, kernel.release, kernel.image, initramfs));
    rmSync(initramfs);
  } catch (error) {
    if (!(error instanceof Lacking)) throw error;
    results.push({ name: version, summary: `skipped: ${error.message}`, failed: false });
  }
}
process.stdout.write('\n');
for (const { name, summary } of results) process.stdout.write(`Linux ${name}: ${summary}\n`);
process.exitCode = results.some(({ failed }) => failed) ? 1 : 0;

/** Boots it and shows what it prints; the counts of the test runner and the last line are read from that. */
async function run(qemu: string, release: string, image: string, initramfs: string): Promise<Result> {
  process.stdout.write(`\n== Linux ${release}\n`);
  const started = performance.now();
  const hardware = ['-accel', 'tcg', '-cpu', 'max', '-smp', '2', '-m', '1024', '-nodefaults', '-display', 'none'];
  const kernel = ['-kernel', image, '-initrd', initramfs, '-append', `console=ttyS0 quiet panic=-1 rdinit=${init}`];
  const machine = spawn(qemu, [...hardware, ...kernel, '-serial', 'stdio', '-no-reboot'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(machine, 'exit');
  const timer = setTimeout(() => machine.kill('SIGKILL'), limitMs);
  let counts = 'no test ran';
  let status: string | undefined;
  for await (const line of createInterface({ input: machine.stdout, crlfDelay: Number.POSITIVE_INFINITY })) {
    process.stdout.write(`${line}\n`);
    if (/^\d+ passed, \d+ failed, \d+ skipped$/.test(line)) counts = line;
    status ??= /^kernels: status (\d+)$/.exec(line)?.[1];
  }
  await exited;
  clearTimeout(timer);
  const seconds = Math.round((performance.now() - started) / 1000);
  const ending = status === '0' ? '' : status === undefined ? ', and it did not come to its end' : ', and it failed';
  return { name: release, summary: `${counts}${ending} (${seconds} s)`, failed: status !== '0' };
}

function packed(): Buffer {
  writeFileSync(init, script());
  chmodSync(init, 0o755);
  return packPrograms(checkout, init);
}

/** The first process of the machine. */
function script(): string {
  const busybox = need('busybox', 'busybox-static');
  const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;
  const node = quoted(process.execPath);
  const handedOn = Object.entries(process.env).filter(([name]) => name.startsWith('REBIND_'));
  return `#!${busybox} sh
${busybox} mkdir -p /proc /sys /dev /tmp /run /etc /root
${busybox} mount -t proc proc /proc
${busybox} --install -s /usr/bin
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
ln -s ${busybox} /sbin/modprobe
chmod 1777 /tmp
echo root:x:0:0::/root:/bin/sh >/etc/passwd
echo root:x:0: >/etc/group
ip link set lo up
export HOME=/root PATH=/bin:/sbin:/usr/bin:/usr/sbin NO_COLOR=1
${handedOn.map(([name, value = '']) => `export ${name}=${quoted(value)}\n`).join('')}
cd ${quoted(checkout)}
{
  ${node} --enable-source-maps build/tools/test.js live-rules causes.test
  status=$?
  for cause in bound-not-listening time-wait; do
    ${node} dist/cli/rebind.cjs demo $cause || status=1
  done
  echo "kernels: status $status"
} 2>&1 </dev/null | cat
poweroff -f
`;
}
