import { channel } from 'node:diagnostics_channel';
import type { ChannelListener } from 'node:diagnostics_channel';
import { Descriptor } from 'pip-services4-components-node';
import type { IReferences } from 'pip-services4-components-node';
import type { LockContext } from '../connect/context';
import type { LockLoad } from '../engine/locker/Locker';
import type { LockEvent } from '../engine/port/LockObserver';
import { quietly } from '../engine/port/quietly';

/** What we use of the toolkit's logger, counters and tracer, of whichever generation: they are found by descriptor. */
interface Logger {
    debug(context: unknown, message: string, ...args: unknown[]): void;
    info?(context: unknown, message: string, ...args: unknown[]): void;
    warn(context: unknown, message: string, ...args: unknown[]): void;
}
interface Counters {
    incrementOne(name: string): void;
    stats(name: string, value: number): void;
    last(name: string, value: number): void;
}
interface Tracer {
    beginTrace(context: unknown, component: string, operation: string): TraceTiming | undefined;
}
interface TraceTiming {
    endTrace(): void;
    endFailure(error: Error): void;
}

const COMPONENT = 'redis_lock';
const METRICS = `${COMPONENT}.acquire`;

/** Name of the channel of `node:diagnostics_channel` on which every event is published. */
export const DIAGNOSTICS_CHANNEL = 'pip-services4-redis-lock-node';

const diagnostics = channel(DIAGNOSTICS_CHANNEL);

/** Tells the toolkit's logger, counters and tracer what happens, and the listeners of the diagnostics channel. */
export class LockTelemetry {
    private _loggers: readonly Logger[] = [];
    private _counters: readonly Counters[] = [];
    private _tracers: readonly Tracer[] = [];

    setReferences(references: IReferences): void {
        this._loggers = find(references, 'logger', ['debug', 'warn'], ['info']);
        this._counters = find(references, 'counters', ['incrementOne', 'stats', 'last']);
        this._tracers = find(references, 'tracer', ['beginTrace']);
    }

    /** Tells of an event of a component that has this `load` now. */
    observe(event: LockEvent, load: LockLoad): void {
        publish(event);
        for (const logger of this._loggers) log(logger, event);
        for (const counters of this._counters) count(counters, event, load);
    }

    /** Whether there is a tracer. */
    get traces(): boolean {
        return this._tracers.length > 0;
    }

    /** Runs an operation in a span of each tracer. What a tracer throws is dropped. */
    async trace<T>(context: LockContext, operation: string, run: () => Promise<T>): Promise<T> {
        const spans = this._tracers.flatMap((tracer) => tracer.beginTrace(context, COMPONENT, operation) ?? []);
        try {
            const result = await run();
            for (const span of spans) quietly(() => span.endTrace());
            return result;
        } catch (error) {
            for (const span of spans)
                quietly(() => span.endFailure(error instanceof Error ? error : new Error(String(error))));
            throw error;
        }
    }
}

function log(logger: Logger, event: LockEvent): void {
    switch (event.kind) {
        case 'waiting':
            logger.debug(event.context, 'Waiting for lock %s behind %d others', event.key, event.rank);
            break;
        case 'acquired':
            logger.debug(event.context, 'Acquired lock %s as %s, fence %d', event.key, event.holder, event.fence);
            break;
        case 'busy':
            logger.debug(event.context, 'Lock %s is busy', event.key);
            break;
        case 'timeout':
            logger.debug(event.context, 'Lock %s was busy for all of %d ms', event.key, Math.round(event.waited));
            break;
        case 'renewed':
            logger.debug(event.context, 'Renewed lock %s of %s', event.key, event.holder);
            break;
        case 'released':
            logger.debug(event.context, 'Released lock %s of %s', event.key, event.holder);
            break;
        case 'lost':
            logger.warn(event.context, 'Lost lock %s of %s: %s', event.key, event.holder, event.error.message);
            break;
        case 'forced': {
            const text = 'Lock %s was taken from %s by %s: %s';
            logger.warn(event.context, text, event.key, event.holder, event.by, event.reason);
            break;
        }
        case 'failed':
            logger.debug(event.context, 'A step of lock %s failed: %s', event.key, event.error.message);
            break;
        case 'unreachable':
            logger.warn(null, 'Redis cannot be used: %s', event.error.message);
            break;
        case 'reachable':
            if (logger.info === undefined) logger.debug(null, event.message);
            else logger.info(null, event.message);
            break;
        case 'warning':
            logger.warn(null, event.message);
    }
}

function count(counters: Counters, event: LockEvent, load: LockLoad): void {
    counters.last(`${METRICS}.held`, load.held);
    counters.last(`${METRICS}.waiting`, load.waiting);
    switch (event.kind) {
        case 'acquired':
            counters.incrementOne(`${METRICS}.acquired`);
            counters.stats(`${METRICS}.wait_time`, event.waited);
            break;
        case 'released':
        case 'lost':
            counters.stats(`${METRICS}.hold_time`, event.held);
            counters.incrementOne(`${METRICS}.${event.kind}`);
            break;
        case 'busy':
        case 'timeout':
        case 'renewed':
        case 'forced':
            counters.incrementOne(`${METRICS}.${event.kind}`);
            break;
        case 'waiting':
        case 'failed':
        case 'unreachable':
        case 'reachable':
        case 'warning':
    }
}

/**
 * Node.js makes an uncaught exception of what a subscriber throws, which ends the process: so each is called here, where its
 * list is found.
 */
function publish(event: LockEvent): void {
    const subscribers: unknown = Reflect.get(diagnostics, '_subscribers');
    if (!Array.isArray(subscribers)) {
        diagnostics.publish(event);
        return;
    }
    for (const subscriber of subscribers.slice() as ChannelListener[]) {
        quietly(() => subscriber(event, DIAGNOSTICS_CHANNEL));
    }
}

/** @param more methods that it may have. */
function find<T>(
    references: IReferences,
    type: string,
    methods: readonly (keyof T & string)[],
    more: readonly (keyof T & string)[] = [],
): T[] {
    const found: unknown[] = references.getOptional<unknown>(new Descriptor('*', type, '*', '*', '1.0'));
    return found
        .filter((one): one is T => methods.every((name) => hasMethod(one, name)))
        .map((one) => quiet(one, [...methods, ...more.filter((name) => hasMethod(one, name))]));
}

/** Its methods, none of which throws or leaves a rejection to nobody. */
function quiet<T>(one: T, methods: readonly (keyof T & string)[]): T {
    const calls = methods.map((name) => [
        name,
        (...parameters: unknown[]): unknown =>
            quietly((): unknown => Reflect.apply(one[name] as (...all: unknown[]) => unknown, one, parameters)),
    ]);
    return Object.fromEntries(calls) as T;
}

function hasMethod(object: unknown, name: string): boolean {
    return typeof object === 'object' && object !== null && typeof Reflect.get(object, name) === 'function';
}
