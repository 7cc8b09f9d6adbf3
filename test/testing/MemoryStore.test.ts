import { setTimeout as sleep } from 'node:timers/promises';
import { MemoryServer, MemoryStore } from '../../src/testing';
import { storeContract } from '../engine/port/storeContract';
import { VirtualClock } from '../fixtures/VirtualClock';

// On the real clock, and on one that is given.
storeContract('MemoryStore', { wakes: true, watches: true }, () => {
    const server = new MemoryServer();
    return Promise.resolve({
        clock: server.clock,
        store: () => new MemoryStore(server),
        pass: sleep,
        set: (key, value, ttl) => Promise.resolve(server.set(key, value, ttl)),
        delete: (key) => Promise.resolve(server.delete(key)),
        get: (key) => Promise.resolve(server.get(key)),
        close: () => Promise.resolve(),
    });
});

storeContract('MemoryStore on a virtual clock', { wakes: true, watches: true }, () => {
    const clock = new VirtualClock();
    const server = new MemoryServer(clock);
    return Promise.resolve({
        clock,
        store: () => new MemoryStore(server),
        pass: (time) => clock.advance(time),
        set: (key, value, ttl) => Promise.resolve(server.set(key, value, ttl)),
        delete: (key) => Promise.resolve(server.delete(key)),
        get: (key) => Promise.resolve(server.get(key)),
        close: () => Promise.resolve(),
    });
});
