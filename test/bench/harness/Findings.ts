import { spread } from './statistics';
import type { Spread } from './statistics';

/** One quantity that a row measures, for some contestants, at some numbers of something. */
export interface Metric {
    readonly name: string;
    readonly title: string;
    /** What its values are: relative to which contestant, or per what. */
    readonly unit: string;
    /** Of what the columns are numbers. */
    readonly columns: string;
    readonly chart?: Chart;
}

export interface Chart {
    readonly logarithmic: boolean;
}

/** The values of one contestant, by column. */
export type Line = ReadonlyMap<number, Spread>;

/** Every value that was measured. */
export class Findings {
    private readonly _values = new Map<string, Map<string, Map<number, number[]>>>();

    /** @param _order contestants, as they are to be told. */
    constructor(private readonly _order: ReadonlyMap<string, unknown>) {}

    /** @param at the column. */
    add(metric: Metric, contestant: string, at: number, value: number): void {
        const lines = entry(this._values, metric.name, () => new Map<string, Map<number, number[]>>());
        const line = entry(lines, contestant, () => new Map<number, number[]>());
        entry(line, at, (): number[] => []).push(value);
    }

    lines(metric: Metric): ReadonlyMap<string, Line> {
        const lines = this._values.get(metric.name);
        const names = [...this._order.keys(), ...(lines?.keys() ?? [])].filter((name) => lines?.has(name));
        return new Map(names.map((name) => [name, spreads(lines?.get(name) ?? [])]));
    }

    /** Undefined where it was not measured. */
    spread(metric: Metric, contestant: string, at: number): Spread | undefined {
        return this.lines(metric).get(contestant)?.get(at);
    }
}

function spreads(line: Iterable<[number, number[]]>): Line {
    return new Map([...line].map(([at, values]) => [at, spread(values)]));
}

function entry<K, V>(map: Map<K, V>, key: K, make: () => V): V {
    const found = map.get(key);
    if (found !== undefined) return found;
    const made = make();
    map.set(key, made);
    return made;
}
