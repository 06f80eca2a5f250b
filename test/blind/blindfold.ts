/**
 * Runs a command that some system calls are refused to: `node blindfold.js '[{"call":"socket","argument":16,"errno":"EPERM"}]' COMMAND…`.
 */
import { spawn } from 'node:child_process';
import { type Refused, refuse } from '../../src/stage/seccomp.ts';

const [refused = '[]', file = '', ...args] = process.argv.slice(2);
// Before the filter: a process is started over a socket pair, and the child inherits what this thread may not do (seccomp(2)).
refuse(JSON.parse(refused) as Refused[]);
const child = spawn(file, args, { stdio: 'inherit' });
child.once('exit', (code) => process.exit(code ?? 1));
