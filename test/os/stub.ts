/**
 * An operating system that provides nothing: not even a bind can be tried. What rebind says on it is what it says where it is blind.
 */
import type { Os } from '../../src/os/os.ts';
import { portable } from '../../src/os/portable.ts';

export const stub: Os = {
  ...portable('stub', 'it provides nothing'),
  probe: (request, gaps) => {
    if (request.endpoint.protocol !== 'unix')
      gaps?.push({
        what: 'Whether the system allows this bind could not be tried',
        why: 'ENOSYS',
        hint: 'Use another system',
      });
    return null;
  },
};
