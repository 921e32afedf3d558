import{createRequire as devshellRequire}from"node:module";const require=devshellRequire(import.meta.url);
import{d as t}from"./chunk-DDU3WEPE.mjs";import{a as r}from"./chunk-C5AMQVWP.mjs";function i(n,o){return new t("CLI_NOT_BUILT",`Cannot run ${n}: it is not built yet`,{hint:o})}r(i,"notBuilt");export{i as a};
