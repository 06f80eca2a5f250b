/**
 * What can be said of a command before it runs: programs that cannot take a socket, inspectors, another port than the held one. Pure.
 */
import type { ParsedEndpoint } from '../model/endpoint.ts';

interface KnownProgram {
  /** Matches the command from the program's own name on, its words joined by single spaces. */
  readonly pattern: RegExp;
  readonly sentence: string;
}

/** Programs that bind the port themselves whatever is passed to them. */
const takeNoSocket: readonly KnownProgram[] = [
  {
    pattern: /^python[\d.]* (-\S+ )*-m ?http\.server\b/,
    sentence: 'python -m http.server binds its port itself and cannot take the socket that hold keeps',
  },
  {
    pattern: /^go run\b/,
    sentence:
      'go run starts the program without the socket: build it first (go build -o app) and hold that (rebind hold … -- ./app)',
  },
  {
    pattern: /^php[\d.]* (.* )?-S\b/,
    sentence: 'php -S binds its port itself and cannot take the socket that hold keeps',
  },
  {
    pattern: /^ruby (.* )?-run -e ?httpd\b/,
    sentence: 'ruby -run -e httpd binds its port itself and cannot take the socket that hold keeps',
  },
  {
    pattern: /^(python[\d.]* (-m )?)?flask (.* )?run\b/,
    sentence: 'flask run binds its port itself: gunicorn and uvicorn take the socket that hold keeps',
  },
  {
    pattern: /^python[\d.]* \S*manage\.py runserver\b/,
    sentence: 'runserver binds its port itself: gunicorn and uvicorn take the socket that hold keeps',
  },
  {
    pattern: /^(deno|bun|bunx)\b/,
    sentence: 'deno and bun bind their ports themselves and cannot take the socket that hold keeps',
  },
  {
    pattern: /^redis-server\b/,
    sentence: 'redis-server binds its port itself and cannot take the socket that hold keeps',
  },
  {
    pattern: /^(sudo|doas) (?!-E|--preserve-env)/,
    sentence:
      'sudo and doas close the descriptors of hold and remove its variables, so the program gets no held socket and is not asked to drain (setpriv --reuid=USER --regid=GROUP --init-groups keeps both)',
  },
  {
    pattern: /^(docker|podman|nerdctl) (compose|run|start)\b/,
    sentence: 'a container gets no socket from outside: run rebind hold inside of it',
  },
];

/** `--inspect`, `--inspect-brk=host:port` …: the flag, when its port is a fixed one, so that two generations cannot both have it. */
export function inspectorOf(command: readonly string[], environment: NodeJS.ProcessEnv): string | null {
  const words = [...command, ...String(environment['NODE_OPTIONS'] ?? '').split(/\s+/)];
  const flag = words.find((word) => {
    const [, address] = /^--inspect(?:-brk|-wait|-port)?(?:=(.*))?$/.exec(word) ?? [];
    return /^--inspect(-brk|-wait|-port)?(=|$)/.test(word) && !/(^|:)0$/.test(address ?? '');
  });
  return flag ?? null;
}

/** Sentences that are worth saying at once. @param saidOverlap True when somebody decided whether generations may overlap. */
export function remarksOn(
  command: readonly string[],
  environment: NodeJS.ProcessEnv,
  endpoints: readonly ParsedEndpoint[],
  saidOverlap: boolean,
): string[] {
  const remarks: string[] = [];
  const known = takeNoSocket.find(({ pattern }) => pattern.test(nameFirst(command)));
  if (known !== undefined) remarks.push(known.sentence);
  const flag = inspectorOf(command, environment);
  if (flag !== null && !saidOverlap)
    remarks.push(
      `${flag} is an inspector on a fixed port, so the old generation ends before the next one starts; with --inspect=0 both can run`,
    );
  const port = portArgument(command);
  const ports = endpoints.flatMap((one) => (one.protocol === 'unix' ? [] : [one.port]));
  if (port !== null && ports.length > 0 && !ports.includes(port))
    remarks.push(`the command is told to use port ${port}, and hold keeps ${ports.join(' and ')}`);
  return remarks;
}

/** Without `env`, assignments and directories before the program's own name. */
function nameFirst(command: readonly string[]): string {
  const rest = [...command];
  while (rest[0] !== undefined && (/^(\S*\/)?env$/.test(rest[0]) || /^\w+=/.test(rest[0]))) rest.shift();
  const [file = '', ...args] = rest;
  return [file.slice(file.lastIndexOf('/') + 1), ...args].join(' ');
}

/** The number after `--port`. */
function portArgument(command: readonly string[]): number | null {
  const at = command.indexOf('--port');
  const text = at >= 0 ? command[at + 1] : command.find((word) => word.startsWith('--port='))?.slice('--port='.length);
  return text !== undefined && /^\d{1,5}$/.test(text) && Number(text) > 0 ? Number(text) : null;
}
