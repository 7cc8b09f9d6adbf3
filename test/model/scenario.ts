import { READER } from '../../src/engine/port/LockStore';
import type { Durations } from '../../src/testing/LockModel';
import type { ExplorerOptions } from './Explorer';
import type { Fault } from './Move';
import * as mutants from './mutants';
import type { ClientRules } from './rules';
import { ServerModel } from './ServerModel';

export const FAULTS: readonly Fault[] = [
    'lose',
    'crash',
    'crash half-open',
    'disconnect',
    'disconnect half-open',
    'disconnect commands',
    'disconnect messages',
    'wipe',
    'flush',
    'delete',
    'refuse',
];

/** Real durations would only make more states: what counts is which of them is longer. */
const DURATIONS: Durations = {
    claimWindow: 2,
    waiterLease: 6,
    pollerLease: 6,
    // That they are lost is a fault.
    queueLife: Infinity,
    clockLife: Infinity,
};

const CLIENT: ClientRules = {
    ttl: 4,
    heartbeat: 2,
    standIn: 1,
    fresh: 0,
    pause: 1,
    chosenHolder: false,
    countsFromSend: true,
    comparesFence: true,
    wantsEnoughLeft: true,
    confirmsFirst: true,
    buries: true,
    waitsForOutcome: true,
    hasTimer: true,
    keepsAlive: false,
    follows: false,
    passes: 0,
    reserves: true,
};

const OPTIONS: ExplorerOptions = {
    clients: 2,
    names: ['A', 'B', 'C', 'D'],
    acquisitions: 3,
    shares: [undefined],
    downgrades: false,
    kinds: FAULTS,
    faults: 0,
    late: true,
    delays: 0,
    foreign: 0,
    yields: false,
    lastFence: 0,
    tries: false,
    givesUp: false,
    durations: DURATIONS,
    server: ServerModel,
    client: CLIENT,
    depth: Infinity,
    // A holder that crashed, or a foreign one; the pause before the second in line stands in; then a waiter that crashed.
    bound: CLIENT.ttl + CLIENT.standIn + DURATIONS.claimWindow,
};

export interface Changes extends Partial<Omit<ExplorerOptions, 'durations' | 'client'>> {
    readonly durations?: Partial<Durations>;
    readonly client?: Partial<ClientRules>;
}

/** What is explored: the protocol as it is, but for these changes. */
export function scenario({ durations, client, ...others }: Changes): ExplorerOptions {
    return { ...OPTIONS, ...others, durations: { ...DURATIONS, ...durations }, client: { ...CLIENT, ...client } };
}

/** The protocol without one of its rules, each with the least that is needed to see what the rule is for. */
export const MUTANTS: Readonly<Record<string, Changes>> = {
    'release and renewal do not compare': { server: mutants.Uncompared, delays: 4 },
    'deadline counted from the reply': { client: { countsFromSend: false }, delays: 4, acquisitions: 2 },
    'a stale message is believed': { client: { comparesFence: false }, delays: 2 },
    'a message is believed however little is left': { client: { wantsEnoughLeft: false }, delays: 2 },
    'no claim window': { durations: { claimWindow: Infinity }, clients: 3, kinds: ['crash half-open'], faults: 2 },
    'a confirm goes out after the caller was told': {
        client: { confirmsFirst: false },
        acquisitions: 3,
        kinds: ['stop'],
        faults: 1,
    },
    'an acquisition that has lost sight of an attempt is released without a tombstone': {
        client: { buries: false },
        kinds: ['disconnect'],
        faults: 1,
    },
    'what was given up is not refused': { server: mutants.Unburied, givesUp: true, kinds: ['disconnect'], faults: 1 },
    'numbers come from the time alone, and the clock of the server was set back': {
        server: mutants.TimeAlone,
        lastFence: 100_000,
        acquisitions: 2,
    },
    'the clock is not written': { server: mutants.UnwrittenClock, lastFence: 100_000, acquisitions: 2 },
    'a grant is told before it is written': { server: mutants.ToldBeforeWritten, kinds: ['refuse'], faults: 1 },
    'a key is taken without a look at who waits': { server: mutants.UnseenQueue },
    'a release looks only at the queue': { server: mutants.QueueAlone, delays: 4 },
    'a release does not look at the queue': { server: mutants.ReleasedUnseen, bound: 0 },
    'holders are compared by prefix where they must be equal': {
        server: mutants.ComparedByPrefix,
        names: ['A', 'AA'],
        client: { chosenHolder: true },
        delays: 4,
    },
    'a give-up frees what the owner has elsewhere': {
        server: mutants.FreesForOwner,
        client: { chosenHolder: true },
        givesUp: true,
        kinds: ['disconnect'],
        faults: 1,
    },
    'an owner asks again before it knows what became of its release': {
        client: { chosenHolder: true, waitsForOutcome: false },
        kinds: ['disconnect'],
        faults: 1,
    },
    'a release of an owner that comes late is done again': {
        server: mutants.ReleasedTwice,
        client: { chosenHolder: true },
        kinds: ['disconnect'],
        faults: 1,
    },
    'the fences of leases that are passed on are not reserved': {
        client: { passes: 2, reserves: false },
        lastFence: 100_000,
        acquisitions: 2,
    },
    'the key is not lengthened when one joins': { server: mutants.ShortJoin, shares: [READER], acquisitions: 2 },
    'the key is not lengthened by a renewal of one who shares it': {
        server: mutants.ShortRenewal,
        shares: [READER],
        acquisitions: 1,
        client: { keepsAlive: true },
    },
    'the key is not shortened when one leaves': { server: mutants.LongRelease, shares: [READER], acquisitions: 2 },
    'the last who leaves deletes the key, also if another has it': {
        server: mutants.UncomparedLast,
        shares: [READER],
        acquisitions: 2,
        delays: 4,
        foreign: 1,
    },
    'those who shared the key at an earlier time are kept': {
        server: mutants.KeptSharers,
        shares: [undefined, READER],
        client: { keepsAlive: true },
        kinds: ['delete'],
        faults: 1,
    },
    'a key is joined although it is lost who shares it': {
        server: mutants.JoinedUnknown,
        shares: [READER],
        acquisitions: 2,
        kinds: ['wipe'],
        faults: 1,
    },
    'a shared key is taken because it is lost who shares it': {
        server: mutants.TakenUnknown,
        shares: [undefined, READER],
        acquisitions: 2,
        kinds: ['wipe'],
        faults: 1,
    },
    'what one asks for is not counted': {
        server: mutants.OwnWeightUncounted,
        shares: [{ limit: 3, permits: 2 }],
        acquisitions: 2,
    },
    'one waiter is let in at a time': { server: mutants.OneAtATime, shares: [undefined, READER], clients: 3 },
    'readers pass a waiter': { server: mutants.PassingReader, shares: [undefined, READER], clients: 3 },
    'no timer': { client: { hasTimer: false }, kinds: ['lose'], faults: 1, acquisitions: 2 },
};
