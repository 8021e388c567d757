"""Tests of aioecrpublic, laid out like the package."""
