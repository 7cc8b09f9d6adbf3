import { fenceOf } from '../../../src/engine/quorum/votes';
import type { Vote } from '../../../src/engine/quorum/votes';
import { QUORUM_RULES } from './QuorumRules';
import type { QuorumOptions, QuorumRules } from './QuorumRules';

/** What nodes remember that did not all see the same grants. */
const UNEVEN = [1, 1, 9];
const EVEN = [1, 1, 1];
const NOTHING = undefined;

const OPTIONS: QuorumOptions = {
    memories: [NOTHING, NOTHING, NOTHING],
    acquisitions: 2,
    clients: 2,
    restarts: 0,
    resends: 0,
    misled: 0,
    late: true,
    ahead: 10,
    rules: QUORUM_RULES,
};

export interface QuorumChanges extends Partial<Omit<QuorumOptions, 'rules'>> {
    readonly rules?: Partial<QuorumRules>;
}

/** What is explored: the protocol as it is, but for these changes. */
export function quorumScenario({ rules, ...others }: QuorumChanges): QuorumOptions {
    return { ...OPTIONS, ...others, rules: { ...QUORUM_RULES, ...rules } };
}

/** Each is small enough to be searched to its end in a test. */
export const QUORUM_SCENARIOS: Readonly<Record<string, QuorumChanges>> = {
    'two of three nodes restart empty, one after the other': { restarts: 2 },
    'a request is sent again': { resends: 1 },
    'three clients ask three nodes': { acquisitions: 3, clients: 3 },
    'one client after another asks nodes that restart and remember different fences': {
        memories: UNEVEN,
        acquisitions: 3,
        clients: 1,
        restarts: 1,
        late: false,
    },
    'two clients ask nodes that remember different fences': { memories: UNEVEN, acquisitions: 3, late: false },
    'the clock is hardly ahead of the fences': { memories: [1, 2, 2], ahead: 1, restarts: 1 },
    'three clients ask two nodes, of which one restarts': {
        memories: [NOTHING, NOTHING],
        acquisitions: 3,
        clients: 3,
        restarts: 1,
    },
    'the clock of a client is wrong, and nodes restart empty': {
        memories: EVEN,
        clients: 1,
        restarts: 2,
        misled: 1,
        late: false,
    },
    'two clients ask four nodes': { memories: [NOTHING, NOTHING, NOTHING, NOTHING] },
};

interface Mutant extends QuorumChanges {
    readonly breaks: 'exclusion' | 'fences';
}

type Votes = readonly (Vote | undefined)[];

/** The protocol without one of its rules, each with the least that is needed to see what the rule is for. */
export const QUORUM_MUTANTS: Readonly<Record<string, Mutant>> = {
    'a fence is used that only a minority has': {
        breaks: 'fences',
        memories: UNEVEN,
        rules: { fenceOf: (votes) => ({ ...fenceOf(votes), behind: [] }) },
    },
    'a node that restarted empty votes at once': {
        breaks: 'exclusion',
        memories: EVEN,
        restarts: 1,
        rules: { quarantine: 'none' },
    },
    'a node that restarted empty waits for leases only, not for votes it gave': {
        breaks: 'exclusion',
        memories: EVEN,
        restarts: 1,
        rules: { quarantine: 'leases' },
    },
    'half of four nodes is enough': {
        breaks: 'exclusion',
        memories: [1, ...EVEN],
        rules: { verdictOf: halfIsEnough },
    },
    'half of two nodes is enough': {
        breaks: 'exclusion',
        memories: [1, 1],
        rules: { verdictOf: halfIsEnough },
    },
    'the least fence counts': {
        breaks: 'fences',
        memories: UNEVEN,
        rules: { fenceOf: (votes) => ({ fence: Math.min(...fencesOf(votes)), behind: [] }) },
    },
    'a hint is believed that is far ahead of the time': {
        breaks: 'fences',
        memories: EVEN,
        clients: 1,
        restarts: 1,
        misled: 1,
        late: false,
        rules: { boundsHints: false },
    },
    'the fence of the first answer counts': { breaks: 'fences', memories: UNEVEN, rules: { fenceOf: fenceOfFirst } },
    'a release does not compare': {
        breaks: 'exclusion',
        memories: [1, 1],
        acquisitions: 3,
        late: false,
        rules: { compares: false },
    },
    'the clock that stands in for a lost memory lags behind the fences': {
        breaks: 'fences',
        memories: [9, 9, 9],
        clients: 1,
        restarts: 1,
        ahead: -5,
    },
    'a late raise is all that a node remembers that restarted empty': {
        breaks: 'fences',
        memories: [1, 1, 2],
        ahead: 1,
        acquisitions: 3,
        clients: 1,
        restarts: 1,
        late: false,
        rules: { raises: 'always' },
    },
};

function fencesOf(votes: Votes): number[] {
    return votes.flatMap((vote) => (vote?.kind === 'yes' ? [vote.fence] : []));
}

function halfIsEnough(votes: Votes): 'won' | 'open' {
    return fencesOf(votes).length >= Math.floor(votes.length / 2) ? 'won' : 'open';
}

function fenceOfFirst(votes: Votes): ReturnType<typeof fenceOf> {
    const fence = fencesOf(votes)[0] ?? 0;
    return { fence, behind: votes.flatMap((vote, at) => (vote?.kind === 'yes' && vote.fence < fence ? [at] : [])) };
}
