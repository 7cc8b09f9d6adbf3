import type { Row } from '../harness/Bench';
import { growth } from './growth';
import { handOff } from './handOff';
import { heap } from './heap';
import { hotKey } from './hotKey';
import { leftBehind } from './leftBehind';
import { nowAndThen } from './nowAndThen';
import { quorum } from './quorum';
import { renewal } from './renewal';
import { sharing } from './sharing';
import { uncontended } from './uncontended';

/** In the order in which they are run and told. */
export const ROWS: readonly Row[] = [
    uncontended,
    nowAndThen,
    leftBehind,
    handOff,
    hotKey,
    renewal,
    sharing,
    heap,
    quorum,
    growth,
];
