/**
 * Beginnings that the stages of several causes share.
 */
import type { Actor, ActorSocket, OpenOptions } from '../../stage/actor.ts';
import type { Stage, StageUser } from '../../stage/stage.ts';

interface ListenOptions extends OpenOptions {
  /** @default 'server' */
  readonly role?: string;
  /** @default a free port */
  readonly port?: number;
  readonly user?: StageUser;
}

interface Listening {
  readonly server: Actor;
  readonly listener: ActorSocket;
  readonly port: number;
}

interface Connected extends Listening {
  readonly client: Actor;
  readonly connection: ActorSocket;
  readonly accepted: ActorSocket;
}

/** A server that listens with exactly these options; nothing is set that is not asked for. */
export async function listening(stage: Stage, address: string, options: ListenOptions = {}): Promise<Listening> {
  const { role = 'server', port = stage.freePort(), user, ...open } = options;
  const server = await stage.actor(role, user);
  const listener = await server.open({ family: familyOf(address), ...open });
  await listener.bind(address, port);
  await listener.listen();
  return { server, listener, port };
}

/** The same with one client whose connection was accepted. The client connects to `to`. */
export async function connected(
  stage: Stage,
  address: string,
  options: ListenOptions = {},
  to: string = address,
): Promise<Connected> {
  const scene = await listening(stage, address, options);
  const client = await stage.actor('client');
  const connection = await client.open({ family: familyOf(to) });
  await connection.connect(to, scene.port);
  const accepted = await scene.listener.accept();
  return { ...scene, client, connection, accepted };
}

/** The same after the server was killed and the client left: what remains is one socket in TIME_WAIT. */
export async function afterKill(
  stage: Stage,
  address: string,
  options: ListenOptions = {},
  to: string = address,
): Promise<Connected> {
  const scene = await connected(stage, address, options, to);
  await scene.server.kill();
  await scene.client.kill();
  await stage.settled(scene.port, (states) => states.join() === 'TIME_WAIT');
  return scene;
}

function familyOf(address: string): 4 | 6 {
  return address.includes(':') ? 6 : 4;
}
