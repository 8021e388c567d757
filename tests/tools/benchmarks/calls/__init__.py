"""What a call costs beside everybody else and a bare aiohttp POST: clients, starts, replies of any length."""
