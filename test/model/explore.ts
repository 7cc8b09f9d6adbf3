import { parseArgs } from 'node:util';
import { READER } from '../../src/engine/port/LockStore';
import type { Share } from '../../src/engine/port/LockStore';
import { Explorer } from './Explorer';
import type { Fault } from './Move';
import { FAULTS, MUTANTS, scenario } from './scenario';
import type { Changes } from './scenario';
import { tellTrace } from './trace';

const USAGE = `Explores the protocol of one lock: every order in which things can happen, within the budgets given.

  --clients N       2
  --acquisitions N  how many begin, over all clients: 3
  --faults N        how often something fails in one run: 1
  --kinds A,B,…     of these: ${FAULTS.join(', ')}; default: all
  --delays N        how many ticks pass while something is on its way or due: 2
  --foreign N       how often a client of another edition takes the key: 0
  --shares A,B,…    what may be asked for: alone; reader; permits such as 1/2, one of two. Default: alone
  --depth N         the longest sequence of moves: all
  --bound N         ticks within which waiters are served once nothing fails any more: ${scenario({}).bound}
  --tries, --gives-up, --yields, --keep-alive, --follows, --chosen-holder, --downgrades
                    clients also try without waiting, give up, leave a key free that they release, renew leases, follow their
                    hand-offs, use one holder for all their acquisitions, come to share a key that they had alone
  --no-late         what was sent on a connection that was lost is lost
  --mutant NAME     leaves out a rule, with budgets of its own: ${Object.keys(MUTANTS).join('; ')}
`;

const VALUE = { type: 'string' } as const;
const FLAG = { type: 'boolean' } as const;

const { values } = parseArgs({
    options: {
        clients: VALUE,
        acquisitions: VALUE,
        faults: VALUE,
        kinds: VALUE,
        delays: VALUE,
        foreign: VALUE,
        shares: VALUE,
        depth: VALUE,
        bound: VALUE,
        tries: FLAG,
        'gives-up': FLAG,
        yields: FLAG,
        'keep-alive': FLAG,
        follows: FLAG,
        'chosen-holder': FLAG,
        downgrades: FLAG,
        'no-late': FLAG,
        mutant: VALUE,
        help: FLAG,
    },
});

if (values.help === true) console.log(USAGE);
else explore(asked());

/** What the command line changes. */
function asked(): Changes {
    const mutant = values.mutant === undefined ? undefined : MUTANTS[values.mutant];
    if (values.mutant !== undefined && mutant === undefined) throw new Error(`There is no mutant "${values.mutant}".`);
    const { kinds, tries, follows, yields, downgrades, shares } = values;
    const numbers = {
        clients: values.clients,
        acquisitions: values.acquisitions,
        faults: values.faults,
        delays: values.delays,
        foreign: values.foreign,
        depth: values.depth,
        bound: values.bound,
    };
    const client = given({ follows, keepsAlive: values['keep-alive'], chosenHolder: values['chosen-holder'] });
    return {
        ...(mutant ?? { faults: 1, delays: 2 }),
        ...Object.fromEntries(Object.entries(given(numbers)).map(([name, text]) => [name, Number(text)])),
        ...given({ tries, yields, downgrades, givesUp: values['gives-up'], kinds: kinds?.split(',').map(fault) }),
        ...(shares === undefined ? {} : { shares: shares.split(',').map(share) }),
        late: values['no-late'] !== true,
        client: { ...mutant?.client, ...client },
    };
}

function share(text: string): Share | undefined {
    if (text === 'alone') return undefined;
    if (text === 'reader') return READER;
    const [, permits, limit] = /^(\d+)\/(\d+)$/.exec(text) ?? [];
    if (permits === undefined) throw new Error(`This is no share: "${text}".`);
    return { permits: Number(permits), limit: Number(limit) };
}

function fault(name: string): Fault {
    const known = FAULTS.find((kind) => kind === name);
    if (known === undefined) throw new Error(`There is no fault "${name}".`);
    return known;
}

/** Without what is undefined. */
function given<Value>(all: Readonly<Record<string, Value | undefined>>): Record<string, Value> {
    return Object.fromEntries(
        Object.entries(all).flatMap(([name, value]): [string, Value][] => (value === undefined ? [] : [[name, value]])),
    );
}

function explore(changes: Changes): void {
    const options = scenario(changes);
    const started = Date.now();
    const { states, depth, complete, slowest, violation } = new Explorer(options).explore((at, known) =>
        console.log(`depth ${at}: ${known} states, ${((Date.now() - started) / 1000).toFixed(1)} s`),
    );
    const size = `${states} states, ${complete ? 'all there are' : 'not all'}, at most ${depth} moves from the start.`;
    if (violation === undefined) {
        console.log(`No violation in ${size} Once nothing fails, waiters are served within ${slowest} ticks.`);
        return;
    }
    console.log(tellTrace(options, violation));
    console.log(`Violation in ${size}`);
    process.exitCode = 1;
}
