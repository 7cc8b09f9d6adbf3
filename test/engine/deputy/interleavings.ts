/*
 * Two threads that share memory, one of which is interrupted: before each of its accesses the other may do its next steps. Every way to
 * do so is tried.
 */

type Access = 'load' | 'store' | 'or' | 'and' | 'compareExchange';
const ACCESSES: readonly Access[] = ['load', 'store', 'or', 'and', 'compareExchange'];

/** What the two threads do, one step after the other. A fresh one for each way. */
export interface Threads {
    readonly interrupted: () => void;
    readonly steps: readonly (() => void)[];
}

/** Has every way tried. @returns how many there are. */
export function interleavings(fresh: () => Threads): number {
    let ways = 0;
    // The number of accesses before each step; a step is not done before its predecessor.
    const places: number[] = [];
    for (;;) {
        const accesses = run(fresh(), places);
        ways += 1;
        if (!next(places, fresh().steps.length, accesses)) return ways;
    }
}

/** The next way: the last step is done one access later, or the step before it, if that is the end. */
function next(places: number[], steps: number, accesses: number): boolean {
    while (places.length < steps) places.push(0);
    for (let at = steps - 1; at >= 0; at--) {
        const place = (places[at] ?? 0) + 1;
        if (place > accesses) continue;
        places.fill(place, at);
        return true;
    }
    return false;
}

function run({ interrupted, steps }: Threads, places: readonly number[]): number {
    const real = { ...pick() };
    let accesses = 0;
    let step = 0;
    let inStep = false;
    const interrupt = (): void => {
        if (inStep) return;
        inStep = true;
        for (; step < steps.length && (places[step] ?? 0) <= accesses; step++) steps[step]?.();
        inStep = false;
        accesses += 1;
    };
    try {
        for (const name of ACCESSES) {
            const access = real[name] as (...all: unknown[]) => unknown;
            Object.assign(Atomics, {
                [name]: (...all: unknown[]) => {
                    interrupt();
                    return access(...all);
                },
            });
        }
        interrupted();
    } finally {
        Object.assign(Atomics, real);
    }
    for (; step < steps.length; step++) steps[step]?.();
    return accesses;
}

function pick(): Record<Access, unknown> {
    const { and, compareExchange, load, or, store } = Atomics;
    return { and, compareExchange, load, or, store };
}
