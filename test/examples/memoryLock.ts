import { type ILock, type Lease, type LockContext, Locker } from '../../src';
import { MemoryServer, MemoryStore } from '../../src/testing';

export class MemoryLock implements ILock {
    private readonly _leases = new Map<string, Lease>();
    private constructor(private readonly _locker: Locker) {}

    static async open(server = new MemoryServer()): Promise<MemoryLock> {
        const locker = new Locker(new MemoryStore(server));
        await locker.open();
        return new MemoryLock(locker);
    }

    async tryAcquireLock(_context: LockContext, key: string, ttl: number): Promise<boolean> {
        const lease = await this._locker.tryAcquire(key, { ttl, keepAlive: false });
        if (lease !== null) this._leases.set(key, lease);
        return lease !== null;
    }

    async acquireLock(_context: LockContext, key: string, ttl: number, timeout = 300): Promise<void> {
        this._leases.set(key, await this._locker.acquire(key, { ttl, timeout, keepAlive: false }));
    }

    async releaseLock(_context: LockContext, key: string): Promise<void> {
        const lease = this._leases.get(key);
        this._leases.delete(key);
        await lease?.release();
    }

    close(): Promise<void> {
        return this._locker.close();
    }
}
