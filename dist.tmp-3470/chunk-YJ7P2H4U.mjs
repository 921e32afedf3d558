import{createRequire as devshellRequire}from"node:module";const require=devshellRequire(import.meta.url);
import{q as t}from"./chunk-D2C4WQWP.mjs";import{a as r}from"./chunk-C5AMQVWP.mjs";var i;function o(){return i??t()}r(o,"baseDirectory");function c(e){i=e}r(c,"setScriptDirectory");export{o as a,c as b};
