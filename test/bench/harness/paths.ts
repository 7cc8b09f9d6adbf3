import { join } from 'node:path';

/** The root of the repository; compiled files are below obj. */
export const ROOT = join(__dirname, '../../../..');

/** What belongs to the benchmarks and is not compiled. */
export const BENCH = join(ROOT, 'test/bench');

/** The package that names the peers. */
export const PACKAGE = join(BENCH, 'package.json');
