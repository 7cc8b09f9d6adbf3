import { ConfigParams, Descriptor, References } from 'pip-services4-components-node';
import { CredentialParams } from 'pip-services4-config-node';
import type { ICredentialStore } from 'pip-services4-config-node';
import { RedisLock } from '../../src';

export function rotatingToken(connection: ConfigParams, tokenOf: (user: string) => Promise<string>): RedisLock {
    const store: ICredentialStore = {
        lookup: async (_context, user) =>
            CredentialParams.fromTuples('username', user, 'password', await tokenOf(user)),
        store: () => Promise.reject(new Error('Tokens are not stored.')),
    };
    const lock = new RedisLock();
    lock.configure(connection.setDefaults(ConfigParams.fromTuples('credential.store_key', 'default')));
    lock.setReferences(References.fromTuples(new Descriptor('app', 'credential-store', 'tokens', '*', '1.0'), store));
    return lock;
}
