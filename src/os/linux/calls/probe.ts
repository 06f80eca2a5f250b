/**
 * The kernel's own answer, and why there is none.
 */
import type { Request } from '../../../model/endpoint.ts';
import type { Gap, Probe } from '../../../model/facts.ts';
import { bindByNode, isShortage } from '../../node-bind.ts';
import { tryBind } from '../../try-bind.ts';
import { hasLibc } from './libc.ts';
import { sockets } from './socket.ts';

/**
 * Null for a Unix path: trying would leave a file. Also null for an abstract name, which one microsecond would take from its server.
 * Null as well where it could not be tried; then `gaps` is told why.
 */
export function probe(request: Request, gaps: Gap[] = []): Probe | null {
  const { endpoint, options } = request;
  if (endpoint.protocol === 'unix') return null;
  const answer = hasLibc() ? tryBind(sockets, endpoint, options) : bindByNode(endpoint, options);
  if ('errno' in answer) return answer;
  gaps.push({
    what: 'Whether the kernel allows this bind could not be tried',
    why: answer.why,
    hint: isShortage(answer.why)
      ? 'This process has no descriptors or memory left: raise its limits (ulimit -n), or run it again later'
      : 'Install koffi with its binary for this platform',
  });
  return null;
}
