// The program of the keep-alive thread, see KeepAliveThread. It loads nothing of the toolkit.
import { parentPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { makeClients } from '../connect/serverClients';
import { ToldLogins } from '../connect/threadServers';
import { Pulse, PulseClock } from '../engine/deputy/Pulse';
import { Rounds } from '../engine/deputy/Rounds';
import { asError } from '../engine/port/errors';
import { NO_LISTENER } from '../engine/port/LockStore';
import type { LockStore } from '../engine/port/LockStore';
import { RedisStore } from '../engine/redis/RedisStore';
import { storeOf } from './storeOf';
import type { FromThread, ThreadWork, ToThread } from './threadWork';

/** How long until the servers are connected to once more, when they could not be, ms. */
const PAUSE = 5000;

async function run(port: MessagePort, { logins, maxBlock, plan, pulse: memory, settings }: ThreadWork): Promise<void> {
    const tell = (message: FromThread): void => port.postMessage(message);
    const pulse = new Pulse(memory);
    const clock = new PulseClock(pulse);
    const told = new ToldLogins(plan, logins, () => tell({ kind: 'connects' }));
    let store: LockStore | undefined;
    const rounds = new Rounds({
        pulse,
        clock,
        maxBlock,
        // What is not sent at once might be sent after a release.
        store: () => (store instanceof RedisStore && !store.isReady ? undefined : store),
        lost: (row) => tell({ kind: 'lost', row }),
    });
    port.on('message', (message: ToThread) => {
        if (message.kind === 'logins') told.found = message.logins;
        else rounds.heard(message);
    });
    while (store === undefined) {
        try {
            const opened = storeOf(await makeClients(plan, told), settings, clock);
            // The main thread tells of what happens.
            await opened.open(NO_LISTENER);
            store = opened;
            tell({ kind: 'ready' });
        } catch (error) {
            tell({ kind: 'failed', message: asError(error).message });
            await new Promise<void>((resolve) => clock.timer(PAUSE, resolve));
        }
    }
}

const work = workerData as ThreadWork | null | undefined;
if (parentPort !== null && work?.kind === 'redis-lock') void run(parentPort, work);
