import { assert } from 'chai';
import { quorumCodeOf } from './quorumCode';
import { exploreQuorum } from './QuorumExplorer';
import { quorumMovesOf } from './quorumMoves';
import { QUORUM_MUTANTS, QUORUM_SCENARIOS, quorumScenario } from './quorumScenario';
import { tellQuorumTrace } from './quorumTrace';
import { QuorumWorld } from './QuorumWorld';

/** Set to anything: the ways to the violations are printed. */
const TELLS = process.env['QUORUM_TRACES'] !== undefined;

/** How long the shortest way to the violation is; the traces are to be read. */
const LONGEST = 25;

suite('Quorum', function () {
    this.timeout(60_000);

    for (const [name, changes] of Object.entries(QUORUM_SCENARIOS)) {
        test(`has one believer at a time and rising fences when ${name}`, () => {
            const options = quorumScenario(changes);
            const { states, depth, leases, violation } = exploreQuorum(options);
            if (violation !== undefined) assert.fail(`\n${tellQuorumTrace(options, violation)}`);
            assert.isAbove(leases, 0);
            console.log(`      ${states} states, up to ${depth} moves deep`);
        });
    }

    test('takes two states for one only if the same can follow from both', () => {
        const options = quorumScenario({ memories: [1, 1, 9], acquisitions: 3, restarts: 1 });
        const known = new Map<string, QuorumWorld>();
        let twice = 0;
        for (let frontier = [QuorumWorld.start(options)]; frontier.length > 0 && known.size < 5000;) {
            frontier = frontier.flatMap(successors).filter((world) => {
                const code = quorumCodeOf(world);
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
        assert.isAbove(twice, 5000);
    });

    for (const [name, { breaks, ...changes }] of Object.entries(QUORUM_MUTANTS)) {
        test(`finds a violation when ${name}`, () => {
            const options = quorumScenario(changes);
            const { states, violation } = exploreQuorum(options);
            if (violation === undefined) assert.fail(`nothing found in ${states} states`);
            assert.match(violation.what, breaks === 'fences' ? /does not rise/ : /two believe/);
            assert.isBelow(violation.moves.length, LONGEST);
            if (TELLS) console.log(tellQuorumTrace(options, violation).replaceAll(/^/gm, '      '));
        });
    }
});

function successors(world: QuorumWorld): QuorumWorld[] {
    return quorumMovesOf(world).map((move) => world.apply(move));
}

function whatFollows(world: QuorumWorld): string[] {
    return [
        ...new Set(successors(world).map((next) => `${quorumCodeOf(next)} ${next.violation === undefined}`)),
    ].sort();
}
