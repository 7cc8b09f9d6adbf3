import { Context, Descriptor, Factory, type IReferenceable, type IReferences } from 'pip-services4-components-node';
import { ProcessContainer } from 'pip-services4-container-node';
import { DefaultRedisLockFactory, type LockContext, type RedisLock } from '../../src';

class Report implements IReferenceable {
    private _lock: RedisLock | undefined;

    setReferences(references: IReferences): void {
        this._lock = references.getOneRequired<RedisLock>(new Descriptor('*', 'lock', '*', '*', '1.0'));
    }

    async open(context: LockContext): Promise<void> {
        await this._lock?.withLock(context, 'report', { timeout: 60000 }, async (lease) => {
            console.log('This host makes the report, with fence', lease.fence);
        });
    }
}

const factory = new Factory();
factory.registerAsType(new Descriptor('app', 'report', 'default', '*', '1.0'), Report);
const container = new ProcessContainer('report', 'A report that one host at a time makes');
container.addFactory(factory);
container.addFactory(new DefaultRedisLockFactory());
container.run(process.argv);

process.removeAllListeners('SIGINT');
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => void container.close(Context.fromTraceId('report')).then(() => process.exit(0)));
}
