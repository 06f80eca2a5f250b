/**
 * How the command that runs now is typed again: what is printed to be pasted must work where it is pasted.
 */
import { basename, dirname, sep } from 'node:path';

/** The two ways to type it. */
export interface Program {
  /** `rebind`, `npx rebind`. */
  readonly plain: string;
  /** The same as root. */
  readonly root: string;
}

/** What sudo searches whatever the user's PATH is (`secure_path`, sudoers(5)). */
const everybodys = new Set(['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']);

/**
 * How this process was started.
 *
 * @param script Its file as it was called, the link in a folder of the PATH for instance: `process.argv[1]`.
 */
export function programOf(node: string, script: string, env: Readonly<Record<string, string | undefined>>): Program {
  const folder = dirname(script);
  const byNpx = folder.endsWith(`node_modules${sep}.bin`) || env['npm_command'] === 'exec';
  const plain = byNpx ? 'npx rebind' : 'rebind';
  // Not called by its name, as in development: nothing is known of where it will be.
  const known = byNpx || basename(script) === 'rebind';
  const findable = everybodys.has(dirname(node)) && (byNpx || everybodys.has(folder));
  return { plain, root: known && !findable ? `sudo env "PATH=$PATH" ${plain}` : `sudo ${plain}` };
}

/** A command of an answer, as a person would have to type it here. Only `rebind` itself is changed. */
export function pasted(command: string, { program }: { readonly program?: Program }): string {
  if (program === undefined) return command;
  return command.replace(/(^|&& )(sudo )?rebind(?= |$)/g, (_all, before: string, sudo?: string) =>
    before.concat(sudo === undefined ? program.plain : program.root),
  );
}
