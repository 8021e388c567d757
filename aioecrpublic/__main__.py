"""``python -m aioecrpublic``."""

from aioecrpublic.cli import main

if __name__ == "__main__":
    main()
