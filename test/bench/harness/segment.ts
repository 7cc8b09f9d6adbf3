import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import type { ServerProbe } from './ServerProbe';

/** What one contestant's work cost. */
export interface Cost<T> {
    readonly answer: T;
    /** ms */
    readonly elapsed: number;
    /** CPU time of this process, and of those that work for it, ms. */
    readonly clientCpu: number;
    /** CPU time of the servers, ms. */
    readonly serverCpu: number;
    /** What other processes used meanwhile, as a part of one core. */
    readonly others: number;
}

/** How often segments had to be repeated. */
export interface Disturbance {
    /** How often a segment is measured at most. */
    readonly tries: number;
    segments: number;
    repeated: number;
    /** Other processes used too much of the machine in every try. */
    disturbed: number;
}

/** Others may use so much of one core. */
export const QUIET = 0.15;

/** /proc/stat and its likes count in ticks of 10 ms, on each core. */
const GRAIN = 10;

export interface SegmentOptions {
    readonly servers: readonly ServerProbe[];
    readonly disturbance: Disturbance;
    /** CPU time that helping processes have used so far, ms. */
    readonly helpers?: () => Promise<number>;
    /** Before every try, and not measured. */
    readonly prepare?: () => Promise<void>;
}

/** Measures a piece of work, again when other processes disturbed it; of those that were all disturbed the least disturbed counts. */
export async function segment<T>(options: SegmentOptions, work: () => Promise<T>): Promise<Cost<T>> {
    const { disturbance } = options;
    disturbance.segments += 1;
    let best = await measured(options, work);
    for (let tries = 1; tries < disturbance.tries && best.others > QUIET; tries++) {
        disturbance.repeated += 1;
        const again = await measured(options, work);
        if (again.others < best.others) best = again;
    }
    if (best.others > QUIET) disturbance.disturbed += 1;
    return best;
}

async function measured<T>(options: SegmentOptions, work: () => Promise<T>): Promise<Cost<T>> {
    await options.prepare?.();
    // What the one before left behind is not this one's cost.
    globalThis.gc?.();
    const before = await usage(options);
    const since = performance.now();
    const answer = await work();
    const elapsed = performance.now() - since;
    const after = await usage(options);
    const clientCpu = after.client - before.client;
    const serverCpu = after.servers - before.servers;
    // The whole takes a little longer than the work, by what asking costs.
    const whole = after.at - before.at;
    const others = (after.machine - before.machine - clientCpu - serverCpu - cpus().length * GRAIN) / whole;
    return { answer, elapsed, clientCpu, serverCpu, others: Math.max(others, 0) };
}

interface Usage {
    readonly at: number;
    readonly client: number;
    readonly servers: number;
    readonly machine: number;
}

async function usage({ servers, helpers }: SegmentOptions): Promise<Usage> {
    const asked = await Promise.all([...servers.map((server) => server.cpu()), helpers?.() ?? 0]);
    const help = asked.pop() ?? 0;
    const { user, system } = process.cpuUsage();
    return {
        at: performance.now(),
        client: (user + system) / 1000 + help,
        servers: asked.reduce((sum, one) => sum + one, 0),
        machine: busy(),
    };
}

/** CPU time that the machine has used so far, or that other machines on its host have taken from it, ms. */
function busy(): number {
    try {
        const [, ...ticks] = readFileSync('/proc/stat', 'utf8').slice(0, 200).split(/\s+/);
        const [user = 0, nice = 0, system = 0, , , interrupts = 0, soft = 0, stolen = 0] = ticks.map(Number);
        return (user + nice + system + interrupts + soft + stolen) * GRAIN;
    } catch {
        // Not Linux, which tells less.
        return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
    }
}
