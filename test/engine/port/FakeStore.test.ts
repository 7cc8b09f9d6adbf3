import { FakeStore } from '../../fixtures/FakeStore';
import { VirtualClock } from '../../fixtures/VirtualClock';
import { storeContract } from './storeContract';

// What the engine is tested with must do what the real stores do.
storeContract('FakeStore', { wakes: true, watches: true }, () => {
    const clock = new VirtualClock();
    const server = new FakeStore(clock);
    server.watchful = true;
    return Promise.resolve({
        clock,
        store: () => server.another(),
        pass: (time) => clock.advance(time),
        set: (key, value, ttl) => Promise.resolve(server.put(key, value, ttl)),
        delete: (key) => Promise.resolve(server.delete(key)),
        get: (key) => Promise.resolve(server.holderOf(key)),
        close: () => Promise.resolve(),
    });
});
