import type { Row } from '../harness/Bench';
import { uncontended } from './uncontended';

/** In the order in which they are run and told. */
export const ROWS: readonly Row[] = [uncontended];
