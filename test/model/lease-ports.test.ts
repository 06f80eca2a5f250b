import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSidePort, leasePorts } from '../../src/model/lease-ports.ts';

test('the same key gets the same ports, another one others', () => {
  const ports = leasePorts('/home/ann/shop', [32_768, 60_999]);
  assert.deepEqual(leasePorts('/home/ann/shop', [32_768, 60_999]), ports);
  assert.equal(new Set(ports).size, 200);
  const firsts = new Set(Array.from({ length: 100 }, (_, index) => leasePorts(`/home/ann/shop-${index}`, null)[0]));
  assert.ok(firsts.size > 95, `${firsts.size} different ports of 100`);
});

test('none of them is one that the system chooses by itself, or that a tool opens beside the server', () => {
  const ports = leasePorts('x', [20_000, 31_000], 100_000);
  assert.ok(ports.every((port) => port >= 17_000 && port <= 32_767 && (port < 20_000 || port > 31_000)));
  assert.equal(leasePorts('x', [1024, 65_535], 10).length, 0);
  assert.ok(isSidePort(24_678) && !leasePorts('x', null, 100_000).includes(24_678));
});
