import { ConfigParams } from 'pip-services4-components-node';
import { RedisLock } from '../../src';
import type { RedisAddress } from '../fixtures/sharedServer';

/** Parameters by their whole name. */
export type Settings = Readonly<Record<string, string | number | boolean>>;

/** A component for a server, not opened. */
export function lockOf({ host, port }: RedisAddress, settings: Settings = {}): RedisLock {
    const lock = new RedisLock();
    lock.configure(configOf({ 'connection.host': host, 'connection.port': port, ...settings }));
    return lock;
}

export function configOf(settings: Settings): ConfigParams {
    return ConfigParams.fromTuples(...Object.entries(settings).flat());
}
