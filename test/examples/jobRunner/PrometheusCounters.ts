/** Counters of the toolkit, in the text format of Prometheus. */
export class PrometheusCounters {
    private readonly _totals = new Map<string, number>();
    private readonly _gauges = new Map<string, number>();
    private readonly _statistics = new Map<string, { count: number; sum: number }>();

    incrementOne(name: string): void {
        this.increment(name, 1);
    }

    increment(name: string, value: number): void {
        this._totals.set(name, (this._totals.get(name) ?? 0) + value);
    }

    last(name: string, value: number): void {
        this._gauges.set(name, value);
    }

    stats(name: string, value: number): void {
        const { count, sum } = this._statistics.get(name) ?? { count: 0, sum: 0 };
        this._statistics.set(name, { count: count + 1, sum: sum + value });
    }

    beginTiming(name: string): { endTiming(): void } {
        const started = performance.now();
        return { endTiming: () => this.stats(name, performance.now() - started) };
    }

    /** The last value; 0 when there is none. */
    gauge(name: string): number {
        return this._gauges.get(name) ?? 0;
    }

    toString(): string {
        const lines: string[] = [];
        const add = (
            name: string,
            type: string,
            samples: readonly (readonly [suffix: string, value: number])[],
        ): void => {
            const metric = name.replace(/\W/g, '_');
            lines.push(`# TYPE ${metric} ${type}`, ...samples.map(([suffix, value]) => `${metric}${suffix} ${value}`));
        };
        for (const [name, value] of this._totals) add(`${name}_total`, 'counter', [['', value]]);
        for (const [name, value] of this._gauges) add(name, 'gauge', [['', value]]);
        for (const [name, { count, sum }] of this._statistics) {
            add(`${name}_ms`, 'summary', [
                ['_sum', sum],
                ['_count', count],
            ]);
        }
        return `${lines.join('\n')}\n`;
    }
}
