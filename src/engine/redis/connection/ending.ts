import type { Redis } from 'ioredis';
import type { Clock } from '../../time/Clock';

/** Disconnects a client. Settles when its socket is closed, and after `patience` ms whatever the client does. */
export function end(client: Redis | undefined, patience: number, clock: Clock): Promise<void> {
    return new Promise((resolve) => {
        if (client === undefined || client.status === 'end') {
            resolve();
            return;
        }
        // Between two connections there is nothing whose end could be told.
        const idle = client.status === 'reconnecting' || client.status === 'wait';
        const done = (): void => {
            timer.cancel();
            client.off('end', done);
            resolve();
        };
        const timer = clock.timer(patience, done);
        client.once('end', done);
        client.disconnect();
        // Nothing is waited for, so the server need not be alive to say goodbye.
        (client.stream as Redis['stream'] | undefined)?.destroy();
        if (idle) done();
    });
}
