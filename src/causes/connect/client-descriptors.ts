import { addressCause } from './form.ts';
import { inetOf, placeOf } from './shared/attempts.ts';
import { change } from './shared/look.ts';

/** socket(2) fails: the process, or the machine, has no descriptor left. */
export default addressCause({
  id: 'client-descriptors',
  title: 'The client has no file descriptor left',
  on: ['linux'],
  at: 'client',
  page: {
    see: '`EMFILE`, "Too many open files", from a connect. Node shows `- Local (undefined:undefined)`. `ENFILE` is the same for the whole machine.',
    why: 'Every connection needs a descriptor, and the client has as many open as its limit allows. Usually it opens connections and does not close them, or its limit is low: 1024 is a common default.',
    now: 'Look at what it has open: `ls -l /proc/PID/fd`. Raise the limit: `LimitNOFILE=` of the unit, `ulimit -n`, `--ulimit nofile=` of the container.',
    prevent: 'Limit the connections of the client: `maxSockets` of an agent of Node, the size of a pool.',
  },
  recognise(question) {
    const evidence = inetOf(question);
    const attempt = evidence?.attempt ?? null;
    if (evidence === null || attempt?.by !== 'socket') return null;
    if (attempt.errno !== 'EMFILE' && attempt.errno !== 'ENFILE') return null;
    const { descriptors } = evidence.before;
    return {
      endpoint: placeOf(evidence),
      whole: attempt.errno === 'ENFILE',
      limit: attempt.errno === 'ENFILE' ? null : (descriptors?.limit ?? null),
    };
  },
  say: ({ endpoint, whole, limit }) =>
    whole
      ? `This machine has no file descriptor left for a connection to ${endpoint}`
      : `This process has no file descriptor left for a connection to ${endpoint}${limit === null ? '' : `: its limit is ${limit}`}`,
  remedies: ({ whole }, question) => [
    whole
      ? change(
          'raise-limit',
          'Raise the number of open files of the machine',
          question.advice.network?.set('fs.file-max', '1048576'),
        )
      : change(
          'raise-limit',
          'Close connections that are no longer needed, or raise the limit',
          question.advice.network?.descriptors(65_536),
        ),
  ],
  stages: [],
});
