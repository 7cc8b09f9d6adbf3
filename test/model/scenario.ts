import type { ExplorerOptions } from './Explorer';
import type { Fault } from './Move';
import { SCRIPT_RULES } from './rules';
import type { ClientRules, ScriptRules } from './rules';

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
];

/** Real durations would only make more states: what counts is which of them is longer. */
const SCRIPT: ScriptRules = {
    ...SCRIPT_RULES,
    claimWindow: 2,
    waiterLease: 6,
    // That they are lost is a fault.
    side: Infinity,
    memory: Infinity,
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
    hasTimer: true,
    keepsAlive: false,
    follows: false,
    passes: 0,
};

const OPTIONS: ExplorerOptions = {
    clients: 2,
    acquisitions: 3,
    kinds: FAULTS,
    faults: 0,
    late: true,
    delays: 0,
    foreign: 0,
    yieldAfter: undefined,
    lastFence: 0,
    tries: false,
    givesUp: false,
    script: SCRIPT,
    client: CLIENT,
    depth: Infinity,
    // A holder that crashed, or a foreign one; the pause before the second in line stands in; then a waiter that crashed.
    bound: CLIENT.ttl + CLIENT.standIn + SCRIPT.claimWindow,
};

export interface Changes extends Partial<Omit<ExplorerOptions, 'script' | 'client'>> {
    readonly script?: Partial<ScriptRules>;
    readonly client?: Partial<ClientRules>;
}

/** What is explored: the protocol as it is, but for these changes. */
export function scenario({ script, client, ...others }: Changes): ExplorerOptions {
    return { ...OPTIONS, ...others, script: { ...SCRIPT, ...script }, client: { ...CLIENT, ...client } };
}

/** The protocol without one of its rules, each with the least that is needed to see what the rule is for. */
export const MUTANTS: Readonly<Record<string, Changes>> = {
    'release without compare': { script: { compares: false }, delays: 4 },
    'deadline counted from the reply': { client: { countsFromSend: false }, delays: 4, acquisitions: 2 },
    'a stale message is believed': { client: { comparesFence: false }, delays: 2 },
    'a message is believed however little is left': { client: { wantsEnoughLeft: false }, delays: 2 },
    'no claim window': { script: { claimWindow: Infinity }, clients: 3, kinds: ['crash half-open'], faults: 2 },
    'a give-up releases what a later acquisition of the holder has': {
        script: { takesOver: false },
        client: { chosenHolder: true },
        late: false,
        givesUp: true,
        kinds: ['disconnect'],
        faults: 1,
    },
    'the fences of leases that are passed on are not reserved': {
        client: { passes: 1 },
        script: { reserves: false },
        lastFence: 100,
        acquisitions: 2,
    },
    'who waits leaves the mark that nobody does': { script: { unmarks: false } },
    'no timer': { client: { hasTimer: false }, kinds: ['lose'], faults: 1, acquisitions: 2 },
};
