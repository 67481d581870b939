"""A signature of an exported folder by OpenSSF's model signing, made with a key and without any service."""

from pathlib import Path
from typing import Any

from pipeline.core.errors import UserError
from pipeline.core.extras import require

SIGNATURE = "model.sig"


def signer(key: Path) -> Any:
    """What signs with a private key; to be made before work that would be lost by an unusable one.

    Args:
        key: PEM file of an elliptic-curve key without a password.

    Raises:
        UserError: if model-signing is missing, or the key cannot be used.
    """
    require("sign", "model_signing", "OpenSSL")
    from model_signing import signing  # pyright: ignore[reportMissingImports]

    try:
        return signing.Config().use_elliptic_key_signer(private_key=key)
    except (OSError, ValueError, TypeError) as error:
        raise UserError(
            f"--sign={key}: not a usable private key ({' '.join(str(error).split())}); "
            f"`openssl ecparam -name prime256v1 -genkey -noout -out {key.name}` makes one"
        ) from None


def sign(config: Any, folder: Path) -> None:
    """Writes `model.sig`, which covers every other file of a folder that is complete.

    Args:
        config: what `signer` gave.
        folder: what to sign.
    """
    config.sign(folder, folder / SIGNATURE)
