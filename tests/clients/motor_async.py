"""Motor 3."""

import asyncio

from motor.motor_asyncio import AsyncIOMotorClient, AsyncIOMotorGridFSBucket

from pymongo_async import main

asyncio.run(main("motor", AsyncIOMotorClient, AsyncIOMotorGridFSBucket))
