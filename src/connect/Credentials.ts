import { ConfigException } from 'pip-services4-commons-node';
import { ConfigParams } from 'pip-services4-components-node';
import type { IReferences } from 'pip-services4-components-node';
import { CredentialResolver } from 'pip-services4-config-node';
import type { CredentialParams } from 'pip-services4-config-node';
import { asContext, traceIdOrNone } from './context';
import type { LockContext } from './context';
import type { Login } from './login';
import type { Logins } from './serverClients';
import type { Target } from './targets';

/** The credentials of servers and Sentinels. They are looked up for each connection: passwords rotate, tokens run out. */
export class Credentials implements Logins {
    constructor(
        private readonly _config: ConfigParams,
        private readonly _references: IReferences | undefined,
        private readonly _context: LockContext,
    ) {}

    /** Those that are configured go before those of a uri. @throws ConfigException NO_CREDENTIAL; what the store throws */
    async ofServer(target: Target | undefined): Promise<Login> {
        return loginOf(target, await this._lookup(this._config));
    }

    /** @throws ConfigException NO_CREDENTIAL; what the store throws */
    async ofSentinels(target: Target): Promise<Login> {
        // The toolkit's resolver looks for credentials in one place.
        const config = new ConfigParams();
        config.addSection('credential', this._config.getSection('sentinel_credential'));
        return loginOf(target, await this._lookup(config));
    }

    private async _lookup(config: ConfigParams): Promise<CredentialParams | undefined> {
        const resolver = new CredentialResolver(config, this._references);
        const credential: CredentialParams | null = await resolver.lookup(asContext(this._context));
        if (credential !== null && credential !== undefined) return credential;
        const key = resolver
            .getAll()
            .find((one) => one.useCredentialStore())
            ?.getStoreKey();
        if (key === undefined) return undefined;
        const text = `No credential store knows the store_key "${key}".`;
        throw new ConfigException(traceIdOrNone(this._context), 'NO_CREDENTIAL', text);
    }
}

function loginOf(target: Target | undefined, credential: CredentialParams | undefined): Login {
    return {
        username: credential?.getUsername() || target?.username,
        password: credential?.getPassword() || target?.password,
    };
}
