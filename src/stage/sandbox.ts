/**
 * Runs a command under a policy that refuses every bind, as a container platform or a hardened unit may have one:
 * `node sandbox.js COMMAND…`. It lives and leaves with the command.
 */
import { spawn } from 'node:child_process';
import { refuse } from './seccomp.ts';

refuse([{ call: 'bind', errno: 'EPERM' }]);
// Children are made by this thread, and so they inherit its filter (seccomp(2)).
const [file = '', ...args] = process.argv.slice(2);
const child = spawn(file, args, { stdio: 'inherit' });
child.once('exit', (code) => process.exit(code ?? 1));
