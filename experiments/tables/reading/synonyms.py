"""Names that exports give to the columns, in English, Portuguese, Spanish and German."""

import re
import unicodedata
from collections.abc import Mapping
from functools import lru_cache

from experiments.text import NAME_LENGTH

# Columns with two possible names, such as Ad and Ad group for the variant, are asked about rather than guessed.
_SYNONYMS = {
    "experiment_id": """
        experiment, experiment key, experiment name, test, test name, campaign, campaign name, campaign id,
        experimento, teste, nome do experimento, nome do teste, campanha, nome da campanha,
        prueba, nombre de la prueba, campaña, nombre de la campaña,
        kampagne, kampagnenname, name der kampagne
    """,
    "date": "day, dia, data, fecha, día, tag, datum",
    "variant_name": """
        variant, variation, variation name, arm, ad, ad name, ad group, ad group name, ad set name, creative,
        variante, nome da variante, variação, nome da variação, anúncio, nome do anúncio, grupo de anúncios, criativo,
        nombre de la variante, variación, nombre de la variación, anuncio, nombre del anuncio, creatividad,
        name der variante, anzeige, anzeigenname, name der anzeige, anzeigengruppe
    """,
    "impressions": """
        impr, impression, exposures, impressões, impressão, impresiones, impresión, impressionen, einblendungen
    """,
    "clicks": "click, link clicks, cliques, clique, cliques no link, clics, clic, clics en el enlace, klicks, klick",
    "conversions": "conv, conversion, conversões, conversão, conversiones, conversión, conversionen",
    "value_sum": """
        revenue, value, conversion value, conv value, purchase value, purchases conversion value,
        receita, valor, valor da conversão, valor de conversão, valor de conv, valor conv,
        ingresos, valor de conversión, valor de las conversiones,
        umsatz, wert, conversion wert, conversionwert, conv wert
    """,
    "value_squares": "sum of squares, soma dos quadrados, suma de los cuadrados, quadratsumme",
}


# Each of a file's first lines may be the header, and a cell may have 100,000 characters, which a worker would keep.
_LOOKED_AT = 5 * NAME_LENGTH


def plain(header: str) -> str:
    """Reduce a header to its letters and digits: "Conv. Value" is "convvalue", "impressões" is "impressoes".

    No more of it is looked at than can be remembered.
    """
    return _plain(header[:_LOOKED_AT])


@lru_cache(maxsize=1024)
def _plain(header: str) -> str:
    text = unicodedata.normalize("NFKD", header).casefold()
    return re.sub(r"[^\w]|_", "", "".join(c for c in text if not unicodedata.combining(c)))[:NAME_LENGTH]


# In a file of single orders. Revenue and the like are no names of a single value: they may be a day's sum.
_ORDER_SYNONYMS = {
    "date": """
        order date, ordered at, created at, date time, datetime, timestamp, data do pedido, data da compra,
        fecha del pedido, fecha de compra, bestelldatum, zeitpunkt
    """,
    "value": """
        order value, order total, order amount, amount, valor, valor do pedido, total do pedido,
        importe, valor del pedido, total del pedido, wert, betrag, bestellwert, bestellsumme
    """,
}


def _by_form(names_of: Mapping[str, str]) -> dict[str, str]:
    return {plain(name): column for column, names in names_of.items() for name in (column, *names.split(","))}


SYNONYMS: Mapping[str, str] = _by_form(_SYNONYMS)
ORDER_SYNONYMS: Mapping[str, str] = {**SYNONYMS, **_by_form(_ORDER_SYNONYMS)}
