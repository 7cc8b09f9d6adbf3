import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server, ServerResponse } from 'node:http';
import { Descriptor } from 'pip-services4-components-node';
import type {
    ConfigParams,
    IConfigurable,
    IOpenable,
    IReferenceable,
    IReferences,
} from 'pip-services4-components-node';
import type { LockHealth } from './LockHealth';
import type { PrometheusCounters } from './PrometheusCounters';

/** Serves /health, for a supervisor that restarts services that are not well, and /metrics, for Prometheus. */
export class StatusServer implements IConfigurable, IReferenceable, IOpenable {
    private _port = 8080;
    private _health: LockHealth | undefined;
    private _counters: PrometheusCounters | undefined;
    private _server: Server | undefined;

    configure(config: ConfigParams): void {
        this._port = config.getAsIntegerWithDefault('connection.port', this._port);
    }

    setReferences(references: IReferences): void {
        this._health = references.getOneRequired<LockHealth>(new Descriptor('*', 'health', 'lock', '*', '1.0'));
        const counters = new Descriptor('*', 'counters', 'prometheus', '*', '1.0');
        this._counters = references.getOneRequired<PrometheusCounters>(counters);
    }

    isOpen(): boolean {
        return this._server !== undefined;
    }

    async open(): Promise<void> {
        this._server = createServer((request, response) => void this._answer(request.url, response));
        this._server.listen(this._port);
        await once(this._server, 'listening');
    }

    async close(): Promise<void> {
        const server = this._server;
        this._server = undefined;
        if (server === undefined) return;
        server.close();
        server.closeAllConnections();
        await once(server, 'close');
    }

    private async _answer(path: string | undefined, response: ServerResponse): Promise<void> {
        if (path === '/health') {
            const health = await this._health?.check();
            response.writeHead(health?.open === true && health.reachable ? 200 : 503);
            response.end(JSON.stringify(health));
        } else if (path === '/metrics') {
            response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(String(this._counters));
        } else response.writeHead(404).end();
    }
}
