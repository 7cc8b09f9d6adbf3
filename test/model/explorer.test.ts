import { assert } from 'chai';
import { READER } from '../../src/engine/port/LockStore';
import { canonical } from './canonical';
import { Explorer } from './Explorer';
import type { Exploration } from './Explorer';
import { movesOf } from './moves';
import { MUTANTS, scenario } from './scenario';
import type { Changes } from './scenario';
import { tellTrace } from './trace';
import { World } from './World';

const MODES = [undefined, READER];

/** One of two, or both. */
const PERMITS: Changes['shares'] = [1, 2].map((permits) => ({ permits, limit: 2 }));

/** Each is searched to its end. A larger one: `npm run explore`. */
const SCENARIOS: Readonly<Record<string, Changes>> = {
    'everything may take long': { delays: 2, givesUp: true, tries: true },
    'leases are kept alive and hand-offs followed': {
        delays: 1,
        givesUp: true,
        client: { keepsAlive: true, follows: true },
    },
    'anything fails once': { faults: 1 },
    'anything fails once and everything may take long': { acquisitions: 2, faults: 1, delays: 2 },
    'a process fails among three': { clients: 3, faults: 1, kinds: ['crash', 'crash half-open', 'disconnect', 'stop'] },
    'two of three crash': { clients: 3, faults: 2, kinds: ['crash', 'crash half-open'] },
    'leases are passed on in a process': { delays: 1, givesUp: true, client: { passes: 2 }, lastFence: 100_000 },
    'leases are passed on in a process that fails': {
        faults: 1,
        kinds: ['crash half-open', 'disconnect', 'disconnect half-open', 'disconnect messages', 'lose'],
        client: { passes: 1 },
    },
    'another edition takes the key and anything fails once': { acquisitions: 2, foreign: 1, faults: 1 },
    'callers choose the holders': { faults: 1, givesUp: true, client: { chosenHolder: true } },
    'callers choose the holders and leases are kept alive': {
        faults: 1,
        client: { chosenHolder: true, keepsAlive: true },
    },
    'others get a chance after each hand-off': { foreign: 1, delays: 1, yields: true, tries: true },
    'a holder stops next to another edition': { foreign: 1, faults: 1, kinds: ['stop'], client: { keepsAlive: true } },
    'readers and one alone, and everything may take long': { shares: MODES, delays: 1 },
    'readers and one alone that comes to share, and anything fails once': {
        shares: MODES,
        acquisitions: 2,
        downgrades: true,
        faults: 1,
    },
    'readers next to another edition': { shares: MODES, acquisitions: 2, foreign: 1, delays: 1 },
    'permits, and everything may take long': { shares: PERMITS, delays: 1 },
    'permits, and anything fails once': { shares: PERMITS, acquisitions: 2, faults: 1 },
    'the server refuses to write': { faults: 2, kinds: ['refuse', 'disconnect'], acquisitions: 2 },
};

/** How long the shortest way to the violation is; the traces are to be read. */
const LONGEST = 22;

/** What a mutant of the rules of sharing breaks. */
const BREAKS: Readonly<Record<string, RegExp>> = {
    'the key is not lengthened when one joins': /and the key ends sooner$/,
    'the key is not lengthened by a renewal of one who shares it': /and the key ends sooner$/,
    'the key is not shortened when one leaves': /the key is shared, and nobody shares it/,
    'the last who leaves deletes the key, also if another has it': /both believe .* one has it alone/,
    'those who shared the key at an earlier time are kept': /is renewed, and another has had the key alone since/,
    'a key is joined although it is lost who shares it': /and the key ends sooner$/,
    'a shared key is taken because it is lost who shares it': /and the key ends sooner$|both believe/,
    'what one asks for is not counted': /4 permits of 3 are out/,
    'one waiter is let in at a time': /there is room for it, and nobody tells it/,
    'readers pass a waiter': /which waits for longer/,
};

suite('Explorer', function () {
    this.timeout(60_000);

    for (const [name, changes] of Object.entries(SCENARIOS)) {
        test(`finds one believer at a time, rising fences and nobody left waiting when ${name}`, () => {
            const { depth, states, complete, slowest } = explore(changes);
            console.log(`      ${states} states, up to ${depth} moves deep; waiters served within ${slowest} ticks`);
            assert.isTrue(complete);
        });
    }

    test('sees waiters served at once where nothing fails and nothing is slow', () => {
        const { slowest } = explore({ clients: 3, givesUp: true });
        assert.strictEqual(slowest, 0);
    });

    test('sees a waiter served one ttl and one claim window after two processes crashed', () => {
        const { slowest } = explore({ clients: 3, faults: 2, kinds: ['crash half-open'] });
        const { durations, client } = scenario({});
        assert.strictEqual(slowest, client.ttl + durations.claimWindow);
    });

    test('takes two states for one only if the same can follow from both', () => {
        const known = new Map<string, World>();
        let twice = 0;
        const options = scenario({
            acquisitions: 2,
            faults: 1,
            delays: 2,
            givesUp: true,
            client: { keepsAlive: true, passes: 1 },
        });
        for (let frontier = [World.start(options)]; frontier.length > 0 && known.size < 20_000;) {
            frontier = frontier.flatMap(successors).filter((world) => {
                const code = codeOf(world);
                const first = known.get(code);
                if (first === undefined) {
                    known.set(code, world);
                    return true;
                }
                twice += 1;
                // A part of them tells as much, sooner.
                if (twice % 5 === 0) assert.deepEqual(whatFollows(world), whatFollows(first));
                return false;
            });
        }
    });

    for (const [name, changes] of Object.entries(MUTANTS)) {
        test(`finds a violation when the protocol is mutated: ${name}`, () => {
            const options = scenario(changes);
            const { states, violation } = new Explorer(options).explore();
            if (violation === undefined) assert.fail(`nothing found in ${states} states`);
            assert.isBelow(violation.moves.length, LONGEST);
            assert.match(violation.what, BREAKS[name] ?? /./);
            console.log(`      ${states} states\n${tellTrace(options, violation).replaceAll(/^/gm, '      ')}`);
        });
    }
});

function explore(changes: Changes): Exploration {
    const options = scenario(changes);
    const exploration = new Explorer(options).explore();
    if (exploration.violation !== undefined) assert.fail(`\n${tellTrace(options, exploration.violation)}`);
    return exploration;
}

function successors(world: World): World[] {
    return movesOf(world).map((move) => world.apply(move));
}

/** The states after a world, but for what changes nothing, such as the loss of a key that nobody reads any more. */
function whatFollows(world: World): string[] {
    const changed = successors(world).filter((next) => canonical(next) !== canonical(world));
    return changed.map((next) => `${codeOf(next)} ${next.violation ?? ''}`).sort();
}

function codeOf(world: World): string {
    return `${canonical(world)} ${world.budget}`;
}
