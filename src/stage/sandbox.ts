/**
 * Runs a command under a policy, as a container platform or a hardened unit may have one: `node sandbox.js POLICY COMMAND…`.
 * It lives and leaves with the command.
 */
import { spawn } from 'node:child_process';
import { refuseTcpConnect } from '../os/linux/calls/landlock.ts';
import { refuse } from './seccomp.ts';
import type { Policy } from './stage.ts';

const policies: Readonly<Record<Policy, () => void>> = {
  'no-bind': () => refuse([{ call: 'bind', errno: 'EPERM' }]),
  'no-connect': () => refuse([{ call: 'connect', errno: 'EPERM' }]),
  'no-tcp-connect': refuseTcpConnect,
};

const [policy = '', file = '', ...args] = process.argv.slice(2);
policies[policy as Policy]();
// Children are made by this thread, and so they inherit its restrictions (seccomp(2), landlock(7)).
const child = spawn(file, args, { stdio: 'inherit' });
child.once('exit', (code) => process.exit(code ?? 1));
