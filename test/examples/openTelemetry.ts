import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { DIAGNOSTICS_CHANNEL, type LockEvent } from '../../src';

/** What is needed of a Meter of `@opentelemetry/api`. */
interface Meter {
    createCounter(name: string): { add(value: number, attributes: Record<string, string>): void };
    createHistogram(name: string, options: { unit: string }): { record(value: number): void };
}

/** Counts what happens to all locks of this process: `observeLocks(metrics.getMeter('locks'))`. @returns what ends it. */
export function observeLocks(meter: Meter): () => void {
    const events = meter.createCounter('redis_lock.events');
    const waited = meter.createHistogram('redis_lock.wait_time', { unit: 'ms' });
    const held = meter.createHistogram('redis_lock.hold_time', { unit: 'ms' });
    const listener = (message: unknown): void => {
        const event = message as LockEvent;
        // Not the key: there may be as many as there are orders, and each would be a series of its own.
        events.add(1, { kind: event.kind });
        if (event.kind === 'acquired') waited.record(event.waited);
        if (event.kind === 'released' || event.kind === 'lost') held.record(event.held);
    };
    subscribe(DIAGNOSTICS_CHANNEL, listener);
    return () => void unsubscribe(DIAGNOSTICS_CHANNEL, listener);
}
