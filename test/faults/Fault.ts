import { setTimeout as sleep } from 'node:timers/promises';
import type { Invariant } from './HistoryEvent';
import type { Topology } from '../../src/connect/serverClients';
import type { Lab } from './Lab';
import type { LabWorker } from './LabWorker';

/** Something that breaks, and is mended. */
export interface Fault {
    readonly name: string;
    readonly topology: Topology;
    /** Whom it touches: one worker or all of them. */
    readonly reach: 'worker' | 'all';
    /** How long until it is healed, ms. */
    readonly lasts: number;
    /** Invariants that are not promised from then until `tail` ms after its heal. */
    readonly exempts: readonly Invariant[];
    readonly tail: number;
    /** For so long after its heal those who wait may know nothing of it, ms. */
    readonly unheard: number;
    apply(lab: Lab, worker: LabWorker): Promise<void> | void;
    heal(lab: Lab, worker: LabWorker): Promise<void> | void;
}

/** Applies a fault for as long as it lasts, and heals it. */
export async function suffer(fault: Fault, lab: Lab): Promise<void> {
    const worker = lab.seed.one(lab.workers);
    const { name, exempts, tail, unheard, reach } = fault;
    const clients = reach === 'worker' ? [worker.client] : null;
    lab.note({ operation: 'fault', name, exempts, tail, unheard, clients });
    await fault.apply(lab, worker);
    await sleep(fault.lasts);
    await fault.heal(lab, worker);
    lab.note({ operation: 'heal', name });
}
