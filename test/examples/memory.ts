import { Locker } from '../../src';
import { MemoryServer, MemoryStore } from '../../src/testing';

/** @returns whether the key was busy, and free after its release. */
export async function twoProcesses(): Promise<[isBusy: boolean, isFree: boolean]> {
    const server = new MemoryServer();
    const [ours, theirs] = [new Locker(new MemoryStore(server)), new Locker(new MemoryStore(server))];
    await Promise.all([ours.open(), theirs.open()]);

    const lease = await ours.acquire('order:42', { ttl: 10_000 });
    const isBusy = (await theirs.tryAcquire('order:42')) === null;
    await lease.release();
    const isFree = (await theirs.tryAcquire('order:42')) !== null;
    await Promise.all([ours.close(), theirs.close()]);
    return [isBusy, isFree];
}
