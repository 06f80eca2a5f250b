/** Through which directories and links root removes a file, and through which it does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pathObjection } from '../../src/model/path-trust.ts';

const root = 0;
const ann = 1000;
const mallory = 1001;

const cases: [string, number, Partial<Parameters<typeof pathObjection>[0]>, boolean][] = [
  ['a directory of root', root, {}, true],
  ['a directory of root, asked by a user', ann, {}, true],
  ['a directory of the asker', ann, { uid: ann, mode: 0o700 }, true],
  ['a directory of the asker that a private group may write in', ann, { uid: ann, mode: 0o775 }, true],
  ['a directory of an ordinary user, asked by root', root, { uid: ann }, false],
  ['a directory of another user', ann, { uid: mallory }, false],
  ['a sticky directory, as /tmp is', root, { mode: 0o1777 }, true],
  ['a sticky directory of another user, who may rename all in it', root, { uid: mallory, mode: 0o1777 }, false],
  ['a directory in which everybody may write', ann, { mode: 0o777 }, false],
  ['a directory of a group, asked by root', root, { gid: 33, mode: 0o775 }, false],
  ["a directory of root's group", root, { gid: 0, mode: 0o775 }, true],
  ['a directory of a user outside of this user namespace', root, { uid: null, mode: 0o755 }, true],
  ['a link of root, as /var/run is', ann, { kind: 'link', mode: 0o777 }, true],
  ['a link of the asker', ann, { kind: 'link', uid: ann, mode: 0o777 }, true],
  ['a link of another user', root, { kind: 'link', uid: mallory, mode: 0o777 }, false],
];

for (const [what, uid, over, may] of cases)
  test(`${what}: ${may ? 'gone through' : 'refused'}`, () => {
    const step = { kind: 'directory', path: '/run/shop', uid: 0, gid: 0, mode: 0o755, ...over } as const;
    const objection = pathObjection(step, { uid });
    assert.equal(objection === null, may, String(objection));
  });
