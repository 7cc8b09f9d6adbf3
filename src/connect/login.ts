import type { Redis } from 'ioredis';

/** As ioredis names them. */
export interface Login {
    readonly username: string | undefined;
    readonly password: string | undefined;
}

/** Sets them on a client that is not connected. */
export function setLogin(client: Redis, login: Login): void {
    Object.assign(client.options, login);
}

export function setSentinelLogin(client: Redis, { username, password }: Login): void {
    Object.assign(client.options, { sentinelUsername: username, sentinelPassword: password });
}
