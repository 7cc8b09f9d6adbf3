import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { stopSharedServer, sharedServer } from '../../fixtures/sharedServer';
import { Timeline } from './Timeline';
import { Workers } from './Workers';

/**
 * Three services compete for one lock around a resource on which only one may work at a time. One is killed while it works,
 * one is stopped; exits with 0 only if nobody ever met another one there.
 */
async function demo(): Promise<boolean> {
    const timeline = new Timeline();
    const { host, port } = await sharedServer();
    timeline.print('demo', `Redis on ${host}:${port}; three workers for one lock with a ttl of 2 s`);
    const workers = new Workers(timeline, join(__dirname, '..', 'host.js'), { host, port });
    try {
        for (const name of ['anna', 'bert', 'cleo']) workers.start(name);
        await delay(4000);
        const takeover = await workers.kill();
        timeline.print('demo', `the lock of the dead was taken over after ${takeover} ms`);
        workers.start('dora');
        await delay(4000);
        const handover = await workers.stop();
        timeline.print('demo', `the lock of the stopped was free again after ${handover} ms`);
        await delay(4000);
    } finally {
        await workers.stopAll();
        await stopSharedServer();
    }
    const { grants, overlaps, takeovers, errors } = workers;
    for (const error of errors) console.log(`ERROR ${error}`);
    const alone = overlaps === 0 && errors.length === 0;
    console.log(`grants: ${grants}, overlaps: ${overlaps}, takeovers: ${takeovers}`);
    return alone && takeovers === 1 && grants > 10;
}

demo().then(
    (good) => {
        process.exitCode = good ? 0 : 1;
    },
    (error: unknown) => {
        console.error(error instanceof Error ? error.message : error);
        process.exitCode = 1;
    },
);
