import type { Contestant } from './Contestant';
import { localGrants, ours } from './ours';
import { peers, tuned, tunedWaiters } from './peers';

/** All that wait for a key. */
export const waiting: readonly Contestant[] = [ours, ...localGrants, ...peers, ...tunedWaiters, ...tuned];
