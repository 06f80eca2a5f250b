/**
 * Asks `why` as the user who runs this, for tests that need an asker without rights: `node ask.js REQUEST` prints the report.
 */
import type { Request } from '../src/model/endpoint.ts';
import { os } from '../src/os/index.ts';
import { explain } from '../src/why.ts';

const request = JSON.parse(process.argv[2] ?? '') as Request;
process.stdout.write(JSON.stringify(explain(request, os())));
