/**
 * Every process of a stage holds one end of a socket pair as descriptor 3, and its children inherit it. The stage lets go of
 * the other end when it is over, or when it dies in whatever way: then each of them reads the end of the stream and leaves.
 * So nothing a stage made can outlive it, and the stage sees when the last of them is gone.
 */
import { Socket } from 'node:net';

/** Where a process of a stage has its leash. */
export const leashDescriptor = 3;

/** Importing this module is holding the leash: it is given to plain Node servers by `--import`. */
const leash = new Socket({ fd: leashDescriptor, readable: true, writable: false });
leash.on('end', () => process.exit(0));
leash.on('error', () => process.exit(0));
leash.resume();
leash.unref();
