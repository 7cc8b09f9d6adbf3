import type { RedisServer } from '../../fixtures/RedisServer';
import type { Contestant, Locking } from '../contestants/Contestant';
import { Findings } from './Findings';
import type { Metric } from './Findings';
import { shuffled } from './random';
import type { Random } from './random';
import type { Disturbance } from './segment';

/** One question that is measured, and how. */
export interface Row {
    readonly name: string;
    readonly title: string;
    /** What is done, and what is compared with what. */
    readonly about: string;
    readonly metrics: readonly Metric[];
    run(bench: Bench): Promise<void>;
}

/** What all rows share: how much may be measured, what was found, what is to be told about it. */
export class Bench {
    readonly disturbance: Disturbance;
    readonly notes = new Set<string>();
    /** Who took part, and what they do. */
    readonly contestants = new Map<string, string>();
    readonly findings = new Findings(this.contestants);

    constructor(
        /** Little of everything, for a quick look. */
        readonly quick: boolean,
        private readonly _random: Random,
        readonly tell: (text: string) => void,
    ) {
        this.disturbance = { tries: quick ? 1 : 3, segments: 0, repeated: 0, disturbed: 0 };
    }

    /** The contestants that can be opened; of others there is a note. */
    async open(contestants: readonly Contestant[], server: RedisServer): Promise<Opened> {
        const opened: OpenContestant[] = [];
        for (const contestant of contestants) {
            try {
                opened.push({ contestant, locking: await contestant.open([server]) });
                this.contestants.set(contestant.name, contestant.does);
            } catch (error) {
                this.notes.add(`Left out: ${contestant.name} (${String(error)})`);
            }
        }
        return new Opened(opened);
    }

    /** What a contestant answers; when it fails there is a note instead, and the others go on. */
    async attempt<T>(contestant: string, work: () => Promise<T>): Promise<T | undefined> {
        try {
            return await work();
        } catch (error) {
            this.notes.add(`${contestant} failed: ${String(error)}`);
            return undefined;
        }
    }

    /** In an order that is another one each time, and the same for the same seed. */
    shuffled<T>(items: readonly T[]): T[] {
        return shuffled(items, this._random);
    }

    /** One each for every contestant's value, divided by that of `baseline`: both of the same round. */
    addRatios(metric: Metric, at: number, values: ReadonlyMap<string, number>, baseline: string): void {
        const unit = values.get(baseline);
        if (unit === undefined) throw new Error(`${baseline} was not measured`);
        for (const [name, value] of values) this.findings.add(metric, name, at, value / unit);
    }
}

export interface OpenContestant {
    readonly contestant: Contestant;
    readonly locking: Locking;
}

/** Contestants that are closed together. */
export class Opened implements AsyncDisposable {
    constructor(readonly all: readonly OpenContestant[]) {}

    async [Symbol.asyncDispose](): Promise<void> {
        await Promise.all(this.all.map(({ locking }) => locking[Symbol.asyncDispose]()));
    }
}
