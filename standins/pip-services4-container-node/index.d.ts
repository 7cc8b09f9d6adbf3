import { ConfigParams, IConfigurable, IContext, IFactory, IOpenable } from 'pip-services4-components-node';
import { IReferenceable, IReferences } from 'pip-services4-components-node';

export declare class Container implements IConfigurable, IReferenceable, IOpenable {
    constructor(name?: string, description?: string);
    configure(config: ConfigParams): void;
    readConfigFromFile(context: IContext, path: string, parameters: ConfigParams): void;
    setReferences(references: IReferences): void;
    addFactory(factory: IFactory): void;
    isOpen(): boolean;
    open(context: IContext): Promise<void>;
    close(context: IContext): Promise<void>;
}

export declare class ProcessContainer extends Container {
    run(args: string[]): void;
}
